import os
import time
from urllib.parse import unquote_plus

import boto3

personalize = boto3.client("personalize")
sts = boto3.client("sts")


def lambda_handler(event, context):
    s3 = event["Records"][0]["s3"]
    bucket, key = s3["bucket"]["name"], unquote_plus(s3["object"]["key"])
    kind = key.rpartition("/")[2]
    account = sts.get_caller_identity()["Account"]
    job = {
        "jobName": f"{os.environ['JOB_NAME']}_{int(time.time())}",
        "solutionVersionArn": os.environ["SOLUTION_VERSION_ARN"],
        "roleArn": f"arn:aws:iam::{account}:role/{os.environ['ROLE_NAME']}",
        "numResults": int(os.environ["NUM_RESULTS"]),
        "jobInput": {"s3DataSource": {"path": f"s3://{bucket}/{key}"}},
        "jobOutput": {"s3DataDestination": {"path": f"s3://{bucket}/{os.environ['RESULTS_KEY']}"}},
    }
    if kind == "users.json":
        return personalize.create_batch_inference_job(**job)["batchInferenceJobArn"]
    if kind == "items.json":
        return personalize.create_batch_segment_job(**job)["batchSegmentJobArn"]
    raise ValueError(f"{kind} is neither users.json nor items.json")
