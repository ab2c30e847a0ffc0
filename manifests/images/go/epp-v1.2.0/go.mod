module quickproof.invalid/epp-v1.2.0

go 1.26.0

require sigs.k8s.io/gateway-api-inference-extension v1.2.0
