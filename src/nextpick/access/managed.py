"""AWS's managed policies that programs around Personalize attach by name.

The documents are AWS's; where theirs is long because it lists hundreds of services, ours has those that are spoken
here, and its description says so. Source: AWS Managed Policy Reference Guide.
"""

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple


class ManagedPolicy(NamedTuple):
    """One managed policy; ``document`` is JSON text."""

    name: str
    path: str
    description: str
    document: str

    @property
    def arn(self) -> str:
        """The policy's ARN."""
        return f"arn:aws:iam::aws:policy{self.path}{self.name}"


def _allow(*actions: str, resource: str | list[str] = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": list(actions), "Resource": resource, **more}


def _policy(name: str, description: str, *statements: dict[str, Any], path: str = "/") -> ManagedPolicy:
    document = json.dumps({"Version": "2012-10-17", "Statement": list(statements)}, indent=4)
    return ManagedPolicy(name, path, description, document)


_SERVICE_ROLE = "/service-role/"
_LOGS = ("logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents")
_TRACES = (
    "xray:PutTraceSegments",
    "xray:PutTelemetryRecords",
    "xray:GetSamplingRules",
    "xray:GetSamplingTargets",
    "xray:GetSamplingStatisticSummaries",
)

_POLICIES = (
    _policy(
        "AmazonPersonalizeFullAccess",
        "Provides full access to Amazon Personalize via the AWS Management Console and the SDK. Also provides select "
        "access to related services (e.g., S3, CloudWatch).",
        _allow("personalize:*"),
        _allow("cloudwatch:PutMetricData", "cloudwatch:ListMetrics"),
        _allow(
            "s3:GetObject",
            "s3:PutObject",
            "s3:DeleteObject",
            "s3:ListBucket",
            resource=["arn:aws:s3:::*Personalize*", "arn:aws:s3:::*personalize*"],
        ),
        _allow(
            "iam:PassRole", Condition={"StringEquals": {"iam:PassedToService": "personalize.amazonaws.com"}}
        ),
        path=_SERVICE_ROLE,
    ),
    _policy(
        "AmazonS3FullAccess", "Provides full access to all buckets.", _allow("s3:*", "s3-object-lambda:*")
    ),
    _policy(
        "AmazonS3ReadOnlyAccess",
        "Provides read only access to all buckets.",
        _allow("s3:Get*", "s3:List*", "s3:Describe*", "s3-object-lambda:Get*", "s3-object-lambda:List*"),
    ),
    _policy("AdministratorAccess", "Provides full access to AWS services and resources.", _allow("*")),
    _policy(
        "PowerUserAccess",
        "Provides full access to AWS services and resources, but does not allow management of users and groups.",
        {"Effect": "Allow", "NotAction": ["iam:*", "organizations:*", "account:*"], "Resource": "*"},
        _allow("iam:CreateServiceLinkedRole", "iam:DeleteServiceLinkedRole", "iam:ListRoles"),
    ),
    _policy(
        "ReadOnlyAccess",
        "Provides read-only access; here to the services that nextpick speaks.",
        _allow(
            "cloudwatch:Get*",
            "cloudwatch:List*",
            "iam:Get*",
            "iam:List*",
            "iam:Simulate*",
            "personalize:Describe*",
            "personalize:Get*",
            "personalize:List*",
            "s3:Get*",
            "s3:List*",
            "sts:GetCallerIdentity",
        ),
    ),
    _policy(
        "IAMFullAccess", "Provides full access to IAM.", _allow("iam:*", "organizations:DescribeAccount")
    ),
    _policy(
        "IAMReadOnlyAccess",
        "Provides read only access to IAM.",
        _allow(
            "iam:GenerateCredentialReport",
            "iam:Get*",
            "iam:List*",
            "iam:SimulateCustomPolicy",
            "iam:SimulatePrincipalPolicy",
        ),
    ),
    _policy(
        "CloudWatchFullAccess",
        "Provides full access to CloudWatch.",
        _allow("autoscaling:Describe*", "cloudwatch:*", "logs:*", "sns:*"),
    ),
    _policy(
        "CloudWatchReadOnlyAccess",
        "Provides read only access to CloudWatch.",
        _allow(
            "cloudwatch:Describe*",
            "cloudwatch:Get*",
            "cloudwatch:List*",
            "logs:Get*",
            "logs:List*",
            "logs:Describe*",
            "logs:FilterLogEvents",
        ),
    ),
    _policy(
        "CloudWatchLogsFullAccess",
        "Provides full access to CloudWatch Logs",
        _allow("logs:*", "cloudwatch:GenerateQuery"),
    ),
    _policy(
        "AWSLambdaBasicExecutionRole",
        "Provides write permissions to CloudWatch Logs.",
        _allow(*_LOGS),
        path=_SERVICE_ROLE,
    ),
    _policy(
        "AWSLambdaVPCAccessExecutionRole",
        "Provides minimum permissions for a Lambda function to execute while accessing a resource within a VPC; here "
        "without the network interfaces, for there are none.",
        _allow(*_LOGS),
        path=_SERVICE_ROLE,
    ),
    _policy(
        "AWSLambdaKinesisExecutionRole",
        "Provides list and read access to Kinesis streams and write permissions to CloudWatch logs.",
        _allow(
            "kinesis:DescribeStream",
            "kinesis:DescribeStreamSummary",
            "kinesis:GetRecords",
            "kinesis:GetShardIterator",
            "kinesis:ListShards",
            "kinesis:ListStreams",
            "kinesis:SubscribeToShard",
            *_LOGS,
        ),
        path=_SERVICE_ROLE,
    ),
    _policy(
        "AWSLambdaRole",
        "Default policy for AWS Lambda service role.",
        _allow("lambda:InvokeFunction"),
        path=_SERVICE_ROLE,
    ),
    _policy("AWSXrayFullAccess", "AWS X-Ray full access managed policy", _allow("xray:*")),
    *(
        _policy(name, "Write only access to the traces of AWS X-Ray.", _allow(*_TRACES))
        for name in ("AWSXrayWriteOnlyAccess", "AWSXRayDaemonWriteAccess")
    ),
    _policy(
        "AmazonAPIGatewayPushToCloudWatchLogs",
        "Allows API Gateway to push logs to user's account.",
        _allow(
            *_LOGS,
            "logs:DescribeLogGroups",
            "logs:DescribeLogStreams",
            "logs:GetLogEvents",
            "logs:FilterLogEvents",
        ),
        path=_SERVICE_ROLE,
    ),
    _policy(
        "AWSLambda_FullAccess",
        "Grants full access to AWS Lambda service; here without the console's look-ups in other services.",
        _allow("lambda:*"),
        _allow("iam:PassRole", Condition={"StringEquals": {"iam:PassedToService": "lambda.amazonaws.com"}}),
    ),
    _policy("AmazonKinesisFullAccess", "Provides full access to all streams.", _allow("kinesis:*")),
    _policy(
        "AmazonKinesisFirehoseFullAccess",
        "Provides full access to all delivery streams.",
        _allow("firehose:*"),
    ),
    _policy("AWSStepFunctionsFullAccess", "Provides full access to AWS Step Functions.", _allow("states:*")),
    _policy("AmazonSNSFullAccess", "Provides full access to Amazon SNS.", _allow("sns:*")),
    _policy(
        "AmazonSSMReadOnlyAccess",
        "Provides read only access to Amazon SSM.",
        _allow("ssm:Describe*", "ssm:Get*", "ssm:List*"),
    ),
    _policy(
        "AmazonAPIGatewayInvokeFullAccess",
        "Provides full access to invoke APIs in Amazon API Gateway.",
        _allow("execute-api:Invoke", "execute-api:ManageConnections", resource="arn:aws:execute-api:*:*:*"),
    ),
    _policy(
        "AmazonSageMakerFullAccess",
        "Provides full access to Amazon SageMaker; here with its access to buckets, without its other services.",
        _allow("sagemaker:*"),
        _allow(
            "s3:GetObject",
            "s3:PutObject",
            "s3:DeleteObject",
            "s3:AbortMultipartUpload",
            resource=[
                f"arn:aws:s3:::*{name}*" for name in ("SageMaker", "Sagemaker", "sagemaker", "aws-glue")
            ],
        ),
        _allow("s3:CreateBucket", "s3:GetBucketLocation", "s3:ListBucket", "s3:ListAllMyBuckets"),
    ),
    _policy(
        "AWSGlueServiceRole",
        "Policy for AWS Glue service role; here without the networks and machines that Glue needs in AWS.",
        _allow(
            "glue:*",
            "s3:GetBucketLocation",
            "s3:ListBucket",
            "s3:ListAllMyBuckets",
            "s3:GetBucketAcl",
            "cloudwatch:PutMetricData",
        ),
        _allow("s3:CreateBucket", resource="arn:aws:s3:::aws-glue-*"),
        _allow(
            "s3:GetObject",
            "s3:PutObject",
            "s3:DeleteObject",
            resource=["arn:aws:s3:::aws-glue-*/*", "arn:aws:s3:::*/*aws-glue-*/*"],
        ),
        _allow("s3:GetObject", resource=["arn:aws:s3:::crawler-public*", "arn:aws:s3:::aws-glue-*"]),
        _allow(*_LOGS, resource="arn:aws:logs:*:*:*:/aws-glue/*"),
        path=_SERVICE_ROLE,
    ),
)

# AmazonPersonalizeFullAccess is attached without its path as well, as many programs write it.
MANAGED: Mapping[str, ManagedPolicy] = MappingProxyType(
    {policy.arn: policy for policy in _POLICIES}
    | {f"arn:aws:iam::aws:policy/{_POLICIES[0].name}": _POLICIES[0]}
)
