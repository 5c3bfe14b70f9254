"""Routes: nginx Ingress, Gateway API, Istio. Each writes the canary's weight where its router reads it.

`routers.Router` is the whole interface; one contract test holds for all. Nothing here decides a weight.
"""
