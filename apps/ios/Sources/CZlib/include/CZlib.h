// zlib of the system, which every Apple system and Linux has, for Swift.
#include <zlib.h>

// inflateInit2 is a macro, which Swift does not see. -15: a raw stream, as zip files hold it.
static inline int mobiledet_inflate_init(z_stream *stream) {
    return inflateInit2(stream, -15);
}

static inline int mobiledet_inflate(z_stream *stream) {
    return inflate(stream, Z_NO_FLUSH);
}
