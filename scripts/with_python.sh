#!/bin/sh
# Run the first Python from 3.11 on with the given arguments.
set -eu
for python in "${PYTHON:-python3}" python3 python3.14 python3.13 python3.12 python3.11; do
    if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        exec "$python" "$@"
    fi
done
echo "Berth needs Python 3.11 or newer. On Debian or Ubuntu run: sudo apt-get install python3" >&2
exit 1
