"""`io.kestra.plugin.cloudflare`: what stands in front of web sites."""
