module quickproof.invalid/epp-v0.3.0

go 1.26.0

require sigs.k8s.io/gateway-api-inference-extension v0.3.0
