"""What runs on a Kubernetes cluster: a `Pod` is said once, and each kind of manifest is a module around it."""
