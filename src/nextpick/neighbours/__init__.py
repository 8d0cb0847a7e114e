"""What programs call before Personalize: S3, STS and IAM, as much of them as such programs use."""
