"""Autoscaling policies on recorded demand, minute by minute: ours, two that everybody knows, and one that knows the future.

Judged by `scoring`; the traces are read in `traces`. Nothing here knows a relay, a cloud or a fleet file.
"""
