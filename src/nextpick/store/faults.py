"""What the object store refuses. Whoever serves it says so in his own words."""


class StoreError(Exception):
    """Something that the object store refuses; ``args[0]`` names it."""


class NoSuchBucket(StoreError):
    """There is no bucket of that name."""


class BucketExists(StoreError):
    """The bucket is there already; ``args[0]`` is the Bucket."""


class BucketNotEmpty(StoreError):
    """The bucket to be deleted holds an object, or a file that is none."""


class NoSuchKey(StoreError):
    """There is no object of that key."""


class KeyTooLong(StoreError):
    """A key of over 1024 bytes of UTF-8, or with a segment whose file name would be over 255 bytes."""


class Blocked(StoreError):
    """A symbolic link, or what is neither file nor directory, lies where the object would."""


class NoSuchUpload(StoreError):
    """There is no upload of that identifier: it was completed, or aborted, or never was."""


class InvalidPart(StoreError):
    """A part that was not uploaded; ``args[0]`` is its number."""
