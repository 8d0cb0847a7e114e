"""Functions: AWS Lambda handlers, unmodified, in warm processes of this machine.

``registry`` holds what is deployed, ``door`` speaks Lambda's API, ``service`` runs the handlers, ``client`` invokes
them from anywhere on this machine. Functions are the operator's own code: processes apart, not a sandbox.
"""
