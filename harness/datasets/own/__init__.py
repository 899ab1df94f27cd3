"""A user's own files: arrays, events, folders of images."""
