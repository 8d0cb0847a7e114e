"""What a service said when it refused a call."""

from botocore.exceptions import ClientError


def code_of(error: ClientError) -> str:
    """Return the error's code, as ``ResourceNotFoundException``."""
    return error.response.get("Error", {}).get("Code", "")


def message_of(error: ClientError) -> str:
    """Return what the service said."""
    return error.response.get("Error", {}).get("Message", "") or str(error)
