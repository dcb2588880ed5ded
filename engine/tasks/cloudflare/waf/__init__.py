"""`io.kestra.plugin.cloudflare.waf`: who may come in."""
