"""`io.kestra.plugin.cloudflare.dns`: names of web sites."""
