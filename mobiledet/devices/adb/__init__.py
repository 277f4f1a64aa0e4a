"""Android phones over adb: the app's agent behind a forwarded port, and the preparation of the phone."""
