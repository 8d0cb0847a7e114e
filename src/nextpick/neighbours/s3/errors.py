"""S3's errors. Source: Amazon S3 API Reference, "Error responses"."""

from nextpick import errors
from nextpick.errors import ServiceError


class S3Error(ServiceError):
    """The request could not be served.

    The class name is the code on the wire; ``details`` are more elements of the answer, by name.
    """

    def __init_subclass__(cls) -> None:
        if "code" not in cls.__dict__:
            cls.code = cls.__name__

    def __init__(self, message: str | None = None, **details: str) -> None:
        super().__init__(message)
        self.details = details


class AccessControlListNotSupported(S3Error):
    """The bucket does not allow ACLs."""


class BadDigest(S3Error):
    """The digest you specified did not match the calculated one."""


class BucketAlreadyExists(S3Error):
    """The requested bucket name is not available. Please select a different name and try again."""

    status = 409


class BucketAlreadyOwnedByYou(S3Error):
    """Your previous request to create the named bucket succeeded and you already own it."""

    status = 409


class BucketNotEmpty(S3Error):
    """The bucket you tried to delete is not empty"""

    status = 409


class EntityTooLarge(S3Error):
    """Your proposed upload exceeds the maximum allowed size"""


class EntityTooSmall(S3Error):
    """Your proposed upload is smaller than the minimum allowed size"""


class IncompleteBody(S3Error):
    """You did not provide the number of bytes specified by the Content-Length HTTP header"""


class InvalidArgument(S3Error):
    """Invalid Argument"""


class InvalidBucketName(S3Error):
    """The specified bucket is not valid."""


class InvalidDigest(S3Error):
    """The Content-MD5 you specified was invalid."""


class InvalidPart(S3Error):
    """One or more of the specified parts could not be found. The part may not have been uploaded, or the \
specified entity tag may not match the part's entity tag."""


class InvalidPartOrder(S3Error):
    """The list of parts was not in ascending order. Parts must be ordered by part number."""


class InvalidRange(S3Error):
    """The requested range is not satisfiable"""

    status = 416


class InvalidRequest(S3Error):
    """The request is not valid."""


class KeyTooLongError(S3Error):
    """Your key is too long"""


class MalformedPolicy(S3Error):
    """Policies must be valid JSON and the first byte must be '{'"""


class MalformedXML(S3Error):
    """The XML you provided was not well-formed or did not validate against our published schema"""


class MethodNotAllowed(S3Error):
    """The specified method is not allowed against this resource."""

    status = 405


class NoSuchBucket(S3Error):
    """The specified bucket does not exist"""

    status = 404


class NoSuchBucketPolicy(S3Error):
    """The bucket policy does not exist"""

    status = 404


class NoSuchKey(S3Error):
    """The specified key does not exist."""

    status = 404


class NoSuchUpload(S3Error):
    """The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or \
completed."""

    status = 404


class NotSpoken(S3Error):
    """A header or parameter you provided implies functionality that is not implemented"""

    status, code = 501, "NotImplemented"


class NotModified(S3Error):
    """Not Modified"""

    status = 304


class PreconditionFailed(S3Error):
    """At least one of the pre-conditions you specified did not hold"""

    status = 412


class XAmzContentSHA256Mismatch(S3Error):
    """The provided 'x-amz-content-sha256' header does not match what was computed."""


# What S3 calls the errors of the wire, and with which status.
CODES: dict[type[ServiceError], tuple[str, int]] = {
    errors.AccessDenied: ("AccessDenied", 403),
    errors.ExpiredToken: ("ExpiredToken", 400),
    errors.IncompleteSignature: ("AuthorizationHeaderMalformed", 400),
    errors.InternalFailure: ("InternalError", 500),
    errors.InvalidSignature: ("SignatureDoesNotMatch", 403),
    errors.MissingAuthenticationToken: ("AccessDenied", 403),
    errors.RequestEntityTooLarge: ("EntityTooLarge", 400),
    errors.RequestTimeout: ("RequestTimeout", 400),
    errors.Serialization: ("MalformedXML", 400),
    errors.UnrecognizedClient: ("InvalidAccessKeyId", 403),
}


def code_of(error: ServiceError) -> tuple[str, int]:
    """Return S3's code and status of an error."""
    return CODES.get(type(error), (error.code, error.status))
