module quickproof.invalid/ai-gateway

go 1.26.4

require github.com/envoyproxy/ai-gateway v1.0.0
