"""`io.kestra.plugin.argocd`: what Argo CD keeps as its repositories say."""
