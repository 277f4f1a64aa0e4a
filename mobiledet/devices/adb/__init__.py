"""Android phones over adb: the app's agent behind a forwarded port, and the phone made ready and put back around it."""
