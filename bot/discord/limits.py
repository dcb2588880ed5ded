"""What Discord refuses, in numbers. Texts are measured in UTF-16 units, never less than what Discord counts."""

from typing import Final

MIB: Final = 1024 * 1024

# A message of components (flag IS_COMPONENTS_V2).
COMPONENTS: Final = 40  # nested ones count
MESSAGE_TEXT: Final = 4000  # all text displays together
CONTENT: Final = 2000  # a plain message
MEDIA_DESCRIPTION: Final = 1024
ATTACHMENTS: Final = 10
ENCLOSED: Final = 2  # texts of a card that are files of their own; further ones go where all goes that did not fit
FILE_NAME: Final = 100
FILE_BYTES: Final = 10 * MIB  # one file, on a server without boosts
UPLOAD_BYTES: Final = 24 * MIB  # one request

# Buttons and menus.
CUSTOM_ID: Final = 100
ROW_BUTTONS: Final = 5
BUTTON_LABEL: Final = 80
BUTTON_URL: Final = 512
SELECT_OPTIONS: Final = 25
OPTION_LABEL: Final = 100
OPTION_VALUE: Final = 100
OPTION_DESCRIPTION: Final = 100

# Modals.
MODAL_TITLE: Final = 45
MODAL_COMPONENTS: Final = 5
MODAL_LABEL: Final = 45
MODAL_DESCRIPTION: Final = 100
MODAL_TEXT: Final = 4000  # a text input, and a text display
MODAL_PLACEHOLDER: Final = 100
MODAL_FILES: Final = 10
RADIO_OPTIONS: Final = 10
RADIO_MINIMUM: Final = 2
CHECKBOX_OPTIONS: Final = 10

# Commands.
CHOICES: Final = 25
CHOICE: Final = 100
NONCE: Final = 25

# Our own shares of a message, so that no part crowds out the others.
TITLE: Final = 256
SUBTITLE: Final = 500
FACTS: Final = 1200
FACT_VALUE: Final = 400
STEPS: Final = 1200
STEP: Final = 200
FOOTER: Final = 400
CARD_BUTTONS: Final = 15  # the rest goes into a menu
LOG_LINES: Final = 20  # more are attached as a file

# Seconds.
GRACE: Final = 1.8  # Discord gives 3 until the first response
CHOICES_GRACE: Final = 2.3

# Threads.
THREAD_NAME: Final = 100
THREAD_MINUTES: Final = 1440  # after a day without a message it is put away; a new message brings it back
