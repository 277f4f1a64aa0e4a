// libjpeg-turbo and libpng of the system, for the agent that runs on Linux.
#include <png.h>
#include <turbojpeg.h>
