"""The health check: does the server in this container answer? HEALTH_URL says where; no proxy stands between."""

import os
import sys
import urllib.request

try:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(os.environ["HEALTH_URL"], timeout=8) as answer:
        answer.read(1)
except (OSError, ValueError) as error:
    sys.exit(f"{os.environ['HEALTH_URL']}: {error}")
