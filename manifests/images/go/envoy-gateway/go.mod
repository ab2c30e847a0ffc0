module quickproof.invalid/envoy-gateway

go 1.26.4

require github.com/envoyproxy/gateway v1.8.1
