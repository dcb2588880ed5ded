"""What Slack refuses beyond, in UTF-16 units or counts, and the budgets we keep inside of that."""

# A message
MESSAGE_BLOCKS = 50
MESSAGE_TEXT = 12_000  # over all blocks; beyond about 13,200 Slack answers `msg_blocks_too_long`, undocumented
FALLBACK = 3_000  # `text` beside blocks; 40,000 are taken, but notifications show the front only
HEADER = 150
SECTION = 3_000
FIELD = 2_000
FIELDS = 10
CONTEXT = 1_900
ACTIONS = 25

# A button
BUTTON = 75
URL = 3_000
ACTION_ID = 255
VALUE = 2_000
CONFIRM_TITLE = 100
CONFIRM_TEXT = 300
CONFIRM_BUTTON = 30

# A view
VIEW_BLOCKS = 100
VIEW_TITLE = 24
VIEW_BUTTON = 24
METADATA = 3_000
HOME_TEXT = 100_000
VIEW_BYTES = 240_000  # of 250,000, as JSON whose letters beyond ASCII take six bytes each

# Fields of a form
INPUTS = 40  # inputs on one page: more are slow to draw and to fill
LABEL = 2_000
HINT = 2_000
INPUT_TEXT = 3_000
OPTION = 75
OPTION_VALUE = 150
OPTIONS = 100
CHECKBOXES = 10
RADIOS = 5  # more than five are quicker to choose from a menu
RADIOS_ASKED = 10
FIELD_ERROR = 300

FILES = 10  # file_input
FILE_BYTES = 10 * 1024 * 1024  # file_input
LOG_BYTES = 8 * 1024 * 1024
LOG_LINES = 20  # lines of a transcript that stand in the message itself
SUGGESTIONS = 100
