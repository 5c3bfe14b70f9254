"""Helpers to reach a cluster, and a control plane without a kubelet for machines that have none."""
