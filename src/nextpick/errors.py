"""Every error a client can see, by meaning.

The class name plus ``Exception`` is the code on the wire (``code`` says where AWS names it otherwise), the
docstring is the default message. The wire takes the HTTP status from the service model where the model
declares the error for that service; ``status`` is what is used elsewhere.

    ServiceError
    ├── InvalidInput, ResourceNotFound, ResourceAlreadyExists, ResourceInUse, LimitExceeded,
    │   InvalidNextToken, TooManyTags, TooManyTagKeys              what Personalize declares
    ├── AccessDenied, UnrecognizedClient, ExpiredToken, InvalidSignature,
    │   MissingAuthenticationToken, IncompleteSignature            who calls
    └── Throttling, Serialization, UnknownOperation, NotImplementedOperation,
        RequestEntityTooLarge, RequestTimeout, UnsupportedMediaType,
        ServiceUnavailable, InternalFailure                        how it was called, how we are
"""


class ServiceError(Exception):
    """The request could not be served."""

    status = 400
    code: str = ""

    def __init_subclass__(cls) -> None:
        if "code" not in cls.__dict__:
            cls.code = cls.__name__ + "Exception"

    def __init__(self, message: str | None = None) -> None:
        self.message = message or (type(self).__doc__ or "").strip()
        super().__init__(self.message)


class InvalidInput(ServiceError):
    """Provide a valid value for the field or parameter."""


class StillCreating(InvalidInput):
    """The resource is still being created."""

    code = "InvalidInputException"


class ResourceNotFound(ServiceError):
    """Could not find the specified resource."""


class ResourceAlreadyExists(ServiceError):
    """The specified resource already exists."""


class ResourceInUse(ServiceError):
    """The specified resource is in use."""


class LimitExceeded(ServiceError):
    """The limit on the number of requests has been exceeded."""


class InvalidNextToken(ServiceError):
    """The token is not valid."""


class TooManyTags(ServiceError):
    """You have exceeded the maximum number of tags you can apply to this resource."""


class TooManyTagKeys(ServiceError):
    """The request contains more tag keys than can be associated with a resource (50 tag keys per resource)."""


class AccessDenied(ServiceError):
    """You do not have sufficient access to perform this action."""


class UnrecognizedClient(ServiceError):
    """The security token included in the request is invalid."""


class ExpiredToken(ServiceError):
    """The security token included in the request is expired"""


class InvalidSignature(ServiceError):
    """The request signature we calculated does not match the signature you provided. Check your AWS Secret \
Access Key and signing method. Consult the service documentation for details."""


class MissingAuthenticationToken(ServiceError):
    """Missing Authentication Token"""


class IncompleteSignature(ServiceError):
    """The request signature does not conform to AWS standards."""


class Throttling(ServiceError):
    """Rate exceeded"""


class Serialization(ServiceError):
    """The request body could not be read."""


class UnknownOperation(ServiceError):
    """The operation is not known."""


class NotImplementedOperation(ServiceError):
    """The operation is known, but nextpick does not speak it yet."""

    status = 501
    code = "NotImplementedException"


class RequestEntityTooLarge(ServiceError):
    """The request body is too large."""

    status = 413


class RequestTimeout(ServiceError):
    """The request did not arrive in time."""

    status = 408


class UnsupportedMediaType(ServiceError):
    """The content type is not supported."""

    status = 415


class ServiceUnavailable(ServiceError):
    """The service cannot answer right now."""

    status = 503
    code = "ServiceUnavailable"


class InternalFailure(ServiceError):
    """The request failed because of an internal error."""

    status = 500
    code = "InternalFailure"
