"""Every time budget and size limit of the package, in seconds and bytes.

A test checks the inequalities that the comments state. The limits of one store or of one page of the emulator
stay in their modules.
"""

# ---------------------------------------------------------------- refreshing

REFRESH_DEADLINE = 20.0
"""What a refresh may take from the store's lock to the saved record. Shorter than a store's lease."""

LEASE_SHARE = 2 / 3
"""The part of a store's lease that a refresh may use. The rest covers the save and differing clocks."""

LEASE_END = 5 / 6
"""The part of a lease after which it may be over: the lock's answer may come as late as the rest lasts."""

REFRESH_START_SHARE = 1 / 2
"""A refresh is not sent when less than this part of its time is left."""

REFRESH_ATTEMPTS = 4
FIRST_BACKOFF = 0.2
"""The backoff doubles with every attempt, and a random half of it is left out."""

REPEAT_PAUSE = 1.0
"""The wait before a token whose answer was lost is presented again: the service may still be at work."""

SAVE_ATTEMPTS = 3
SAVE_PAUSE = 0.05
LONGEST_SAVE_PAUSE = 1.0

COOLDOWN = 5.0
"""After a failed refresh without a ``Retry-After``: between half of this and all of it."""

LONGEST_COOLDOWN = 60.0

# ---------------------------------------------------------------- waiting

LOCK_SPARE = 5.0
"""What to wait for a store's lock beyond the time that its holder may need."""

SIGN_OUT_LOCK_WAIT = 5.0
"""A sign-out deletes the session without the lock after this, so that a stuck process cannot prevent it."""

FALLBACK_WAIT = 5.0
"""What a caller waits for a new token while its token still works."""

EVENT_WAIT = 1.0
"""What a call waits for the callbacks of its own event. Longer callbacks run on without it."""

# ---------------------------------------------------------------- calls

CALL_DEADLINE = 30.0
SIGN_OUT_DEADLINE = 10.0
REVOKE_DEADLINE = 5.0
"""For signing out a session that the client has already dropped."""

SECOND_LOOK_DEADLINE = 5.0
DOCTOR_DEADLINE = 10.0

# ---------------------------------------------------------------- freshness

STALE_SHARE = 1 / 5
LONGEST_STALE = 300.0
EXPIRING_SHARE = 1 / 10
LONGEST_EXPIRING = 30.0
"""Shorter than the stale window: a token is refreshed in the background before anyone has to wait."""

JITTER = 0.2
END_NOTICE_SHARE = 1 / 10
LONGEST_END_NOTICE = 86_400.0
CLOCK_SLACK = 60.0
"""A clock that is set back by less than this is not noticed."""

STORM_SHARE = 1 / 10
LONGEST_STORM = 60.0
"""A token that a refusal has brought is not refreshed because of another refusal while it is younger."""

# ---------------------------------------------------------------- threads

STORE_THREADS = 16
NETWORK_THREADS = 64
SIGN_IN_THREADS = 8
"""Of the network threads, those that only a sign-in or a sign-out may use."""

EVENT_THREADS = 64
THREAD_REST = 0.2
"""What a thread without work waits before it ends."""

RETIRE_WAIT = 0.5
"""What closing a client waits for the threads to end. Those of other clients may go on."""

EXIT_WAIT = REFRESH_DEADLINE
"""What the end of the program waits for refreshes, sign-ins and sign-outs. Never for a mere read."""

# ---------------------------------------------------------------- records

KEPT_DEVICE = 30 * 86_400.0
"""How long a store that forgets keeps the token of a remembered device."""

KEPT_AFTER_END = 86_400.0
"""How long a store that forgets may keep a record after its session's end."""

KEPT_WITHOUT_END = 400 * 86_400.0
"""How long such a store keeps the record of a session without a known end that is not refreshed: as long as
browsers keep cookies."""

LONGEST_ACCOUNT = 256

MOST_SERVICE_ACCOUNTS = 64
"""Service tokens that a client shares between its callers, one for each secret with its scopes."""

# ---------------------------------------------------------------- the auth hook

LONGEST_REFUSAL = 65_536
REFUSAL_READ_TIME = 2.0
"""What is read of a 401's body before the request is repeated."""

REPEATS = 2
"""How often a refused request is repeated: once with a token that another process has brought, and once with
the result of a refresh."""

# ---------------------------------------------------------------- the sender

LARGEST_BODY = 1_048_576
LARGEST_HEAD = 131_072

OVERTIME = 0.5
"""After a deadline, bytes that have already arrived are read for so long. A store's lease leaves more."""

GLANCE = 0.05
"""The wait of a read after the deadline: the rest of a long answer follows when the first part is read."""

SETTLING = 1.0
"""The wait for the end of a message whose JSON is complete: some servers forget to send it."""

CONNECTIONS = NETWORK_THREADS
IDLE_CONNECTIONS = CONNECTIONS // 2
CONNECTION_REST = 5.0
"""The time that a kept connection may be idle. After a long time it may be half closed."""

SUSPENSION = 5.0
"""When the wall clock gains more than this on the monotonic one, the machine slept or its clock was set."""

LONGEST_TIMEOUT = 86_400.0

# ---------------------------------------------------------------- lengths of sent values, in characters

LONGEST_EMAIL = 320
LONGEST_PASSWORD = 4_096
LONGEST_NAME = 1_024
"""Of a display name and of a user name."""

LONGEST_ID = 256
LONGEST_CODE = 256
"""Of a second factor's code with the spaces that a person types."""

LONGEST_CAPTCHA = 16_384
LONGEST_LINK = 16_384
"""Of a link from a mail or a browser, and of the token in it."""

LONGEST_CHALLENGE = 16_384
LONGEST_CURSOR = 4_096
LONGEST_METADATA = 65_536
LONGEST_USER_AGENT = 512
"""Of a browser's name that a back end passes on. The rest is cut off."""

# ---------------------------------------------------------------- sizes of answers

LONGEST_MESSAGE = 300
"""What an error quotes of the service's words."""

LONGEST_RETRY_AFTER = 86_400.0
LONGEST_LIFE = 100 * 365 * 86_400.0
"""A longer life of a token or a session is read as this, so that a date can be computed from it."""

DOCUMENTED_TOKEN_LIFE = 3_600.0
"""The life of an access token whose answer names none. Dropping the answer would lose the session. A token
that expires earlier is refused with a 401, and refreshed."""

SHORTEST_TOKEN_LIFE = 1.0
"""The life of an access token that expires on arrival, as far as the answer says."""

DEEPEST_JSON = 16
"""Of the parts of an answer that are kept as they come."""

# ---------------------------------------------------------------- verifying tokens

LONGEST_TOKEN = 16_384
REMEMBERED_HEADERS = 64
LARGEST_KEY_DOCUMENT = 1_048_576
MOST_KEYS = 1_000
MOST_KEY_SETS = 1_024
"""Key sets that a process keeps for clients to come; clients that are there keep theirs."""

KEY_SOFT_LIFE = 300.0
SHORTEST_KEY_SOFT_LIFE = 30.0
"""After the soft life, keys still verify while a worker thread fetches them again."""

KEY_FETCH_PAUSE = 30.0
LONGEST_KEY_FETCH_PAUSE = 300.0
"""From the start of one fetch to the start of the next, after a failure as the service's Retry-After asks."""

KEY_FETCH_DEADLINE = 10.0
KEY_FETCH_ABANDONED = 20.0
"""A fetch that hangs longer, such as in the resolver, does not keep the next one from starting."""

KEY_WAIT = 5.0
"""How long a caller without a key waits, from the start of the fetch. The fetch's deadline is longer, so that
a slow key server still serves later callers."""

QUIET_KEY_WAIT = 0.25
"""How long a caller waits for fresh keys, or revocations, after a quiet time."""

KEPT_KEYS_RENEWALS = 24
"""How often in their life unchanged keys are written to the store again."""

REMOTE_CHECK_DEADLINE = 10.0
FETCH_THREADS = 16
REMOTE_THREADS = 32
WORKER_REST = 0.2

LARGEST_WEBHOOK = 262_144
MOST_DELIVERIES = 10_000
MOST_REVOCATIONS = 100_000
LONGEST_REVOKED_ID = 256
REVOCATION_SYNC = 5.0
REVOCATION_SPREAD = 10.0
"""A worker reads the shared revocations every 5 s while it verifies tokens. After 10 s without a read, it
waits for one."""

REVOCATIONS_A_PART = 500
REVOCATION_LOCK_WAIT = 5.0

# ---------------------------------------------------------------- sign-in with a browser

OAUTH_REQUEST_LIFE = 600.0
"""How long a browser may take to come back to a web back end."""

COMPLETED_OAUTH_REQUESTS = 10_000
"""How many completed requests a process remembers, so that it sends no code twice."""

LONGEST_CALLBACK = 16_384
LONGEST_BROWSER_REQUEST = 32_768
BROWSER_READ_TIME = 5.0
BROWSER_CONNECTIONS = 64
"""What the listener reads of one connection, and how many it serves at once."""

ERROR_GRACE = 2.0
"""How long the right callback may still come after an error that names no sign-in."""
