"""S3 over HOME/buckets: what programs and the AWS CLI need of it. What it does not speak, it says so by name."""
