"""`io.kestra.plugin.datagen`: data that is made up."""
