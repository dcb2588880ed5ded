"""`io.kestra.plugin.terraform.cli`: infrastructure as code."""

from typing import ClassVar, Literal

from engine.tasks.scripts.script_task import CommandsTask


class TerraformCLI(CommandsTask):
    """Run commands of `terraform`."""

    examples: ClassVar[tuple[str, ...]] = (
        """
id: provision
type: io.kestra.plugin.terraform.cli.TerraformCLI
beforeCommands:
  - terraform init -input=false
commands:
  - terraform plan -input=false 2>&1 | tee plan.txt
  - terraform apply -input=false -auto-approve
env:
  AWS_ACCESS_KEY_ID: "{{ secret('AWS_ACCESS_KEY_ID') }}"
  AWS_SECRET_ACCESS_KEY: "{{ secret('AWS_SECRET_ACCESS_KEY') }}"
inputFiles:
  main.tf: |
    resource "aws_s3_bucket" "reports" {
      bucket = "reports"
    }
outputFiles:
  - plan.txt
""",
    )
    default_image: ClassVar[str] = "hashicorp/terraform"
    type: Literal["io.kestra.plugin.terraform.cli.TerraformCLI"]
