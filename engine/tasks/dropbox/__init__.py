"""`io.kestra.plugin.dropbox`: files in Dropbox."""
