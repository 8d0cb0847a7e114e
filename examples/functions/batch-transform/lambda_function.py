"""Behind a bucket's event: what a batch inference job wrote becomes a Parquet table with titles beside it."""

import csv
import io
import json
import os
from urllib.parse import unquote_plus

import boto3
import pyarrow
from pyarrow import parquet

s3 = boto3.client("s3")


def read(bucket, key):
    return s3.get_object(Bucket=bucket, Key=key)["Body"].read().decode()


def lambda_handler(event, context):
    told = event["Records"][0]["s3"]
    bucket, key = told["bucket"]["name"], unquote_plus(told["object"]["key"])
    items = csv.DictReader(io.StringIO(read(bucket, os.environ["METADATA_KEY"])))
    titles = {item["movieId"]: f"{item['title']} ({item['genres'].split('|')[0]})" for item in items}
    lines = [json.loads(line) for line in read(bucket, key).splitlines()]
    rows = [
        {
            "userId": line["input"]["userId"],
            "Recommendations": " | ".join(
                titles.get(item, item) for item in line["output"]["recommendedItems"]
            ),
        }
        for line in lines
        if line["error"] is None
    ]
    table = io.BytesIO()
    parquet.write_table(pyarrow.Table.from_pylist(rows), table, compression="snappy")
    target = f"{key.rpartition('/')[0]}/transformed.parquet"
    s3.put_object(Bucket=bucket, Key=target, Body=table.getvalue())
    return {"rows": len(rows), "table": f"s3://{bucket}/{target}"}
