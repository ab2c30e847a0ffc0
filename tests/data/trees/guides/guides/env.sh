#!/usr/bin/env bash
# The versions that every guide of this tree uses.
export REPO_ROOT=${REPO_ROOT:-$(realpath "$(git rev-parse --show-toplevel 2>/dev/null)" 2>/dev/null)}
export POOL_VERSION=${POOL_VERSION:-v1.5.0}
if [[ $POOL_VERSION == "latest" ]]; then
  export POOL_URL=releases/latest/download
else
  export POOL_URL=releases/download/${POOL_VERSION}
fi
export CHART_VERSION=${CHART_VERSION:-v0.10.0}
export CHART=${CHART:-oci://charts.example/router-standalone}
