"""What the tests of the wire share: a key, ARNs, and how to look at an error."""

import pytest
from botocore.exceptions import ClientError

from nextpick.wire.dispatch import Key

KEY = Key("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "123456789012")
CAMPAIGN = "arn:aws:personalize:eu-west-1:123456789012:campaign/c"
GROUP = "arn:aws:personalize:eu-west-1:123456789012:dataset-group/g"


def find_key(access_key):
    return KEY if access_key == KEY.access_key else None


def error_of(function, **parameters):
    """Return the code, the status and the message of the error that a client's method raises."""
    with pytest.raises(ClientError) as caught:
        function(**parameters)
    response = caught.value.response
    return (
        response["Error"]["Code"],
        response["ResponseMetadata"]["HTTPStatusCode"],
        response["Error"]["Message"],
    )
