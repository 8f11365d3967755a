# shellcheck shell=bash
# What the scripts beside this file share. Source it; it does nothing by itself.
#
# Notices and questions go to stderr, so that stdout stays for what a script gives. Exit codes are gpuimg's own:
# 1 a check failed, 2 a bad request, 3 the host lacks something, 4 a build failed.

# An assignment fails where the command in it fails; macOS's own bash lacks this, so what matters says `|| return` too.
shopt -s inherit_errexit 2>/dev/null || true

# Some tools catch the signal and end with a code of their own: without this, the script would go on, or blame them.
trap 'exit 130' INT
trap 'exit 143' TERM

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)
venv=$root/.venv
assume_yes=${GPUIMG_YES:-0} # exported, so that a script that another one calls doesn't ask again

note() {
  if [ -t 2 ] && [ -z "${NO_COLOR:-}" ] && [ "${TERM:-dumb}" != dumb ]; then
    printf '\033[1m==>\033[0m %s\n' "$*" >&2
  else
    printf '==> %s\n' "$*" >&2
  fi
}

# die CODE MESSAGE [HINT...]
die() {
  local code=$1
  printf 'error: %s\n' "$2" >&2
  shift 2
  if [ "$#" -gt 0 ]; then
    printf '\n' >&2
    printf 'hint: %s\n' "$@" >&2
  fi
  exit "$code"
}

say_yes() { export GPUIMG_YES=1 && assume_yes=1; }

# The comment that opens a script is its help.
usage() { sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0"; }

# confirm QUESTION: false where the answer is no, or where nobody can be asked.
confirm() {
  local answer=
  if [ "$assume_yes" = 1 ]; then
    note "$1 yes (--yes)"
    return 0
  fi
  if [ ! -t 0 ]; then
    note "$1 no (nobody to ask; --yes answers yes)"
    return 1
  fi
  read -r -p "$1 [y/N] " answer || true
  [[ $answer == [yY] || $answer == [yY][eE][sS] ]]
}

# --- what this machine is ---------------------------------------------------------------------------------------------

is_debian_like() {
  [ -r /etc/os-release ] && [ -x "$(command -v apt-get)" ] || return 1
  local ids
  # shellcheck source=/dev/null
  ids=$(. /etc/os-release && printf '%s %s' "${ID:-}" "${ID_LIKE:-}")
  [[ " $ids " == *" debian "* || " $ids " == *" ubuntu "* ]]
}

can_be_root() { [ "$(id -u)" = 0 ] || command -v sudo >/dev/null; }

# as_root COMMAND...: proxies are kept, since sudo drops them and apt and debootstrap may need them.
as_root() {
  if [ "$(id -u)" = 0 ]; then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo --preserve-env=http_proxy,https_proxy,no_proxy "$@"
  else
    die 3 "root is needed for: $*" "run this as root, or install sudo and try again"
  fi
}

# apt_get ARGUMENT...: quiet, but for what went wrong.
apt_get() {
  local output
  output=$(as_root env DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 apt-get -qq "$@" 2>&1 </dev/null) || {
    tail -n 20 <<<"$output" >&2
    return 1
  }
}

# A fresh machine has no package lists, or old ones. Once a script is enough.
apt_refresh() {
  [ -z "${apt_is_fresh:-}" ] || return 0
  can_be_root || die 3 "root is needed to install packages with apt" "run this as root, or install sudo"
  apt_get update || die 3 "apt could not fetch its package lists" "try: apt-get update"
  apt_is_fresh=1
}

# apt_install PACKAGE...: what is installed already stays at its version.
apt_install() {
  apt_refresh
  note "Installing with apt: $*"
  apt_get install --yes --no-upgrade "$@" || die 3 "apt could not install $*" "try: apt-get install $*"
}

# --- the virtual environment ------------------------------------------------------------------------------------------

# usable_python PYTHON: new enough, and able to make environments (Debian keeps ensurepip in python3-venv).
usable_python() {
  "$1" -c 'import sys; assert sys.version_info >= (3, 10); import ensurepip, venv' 2>/dev/null
}

find_python() {
  local python
  for python in python3 python3.{14,13,12,11,10} /usr/bin/python3; do
    if usable_python "$python"; then
      command -v "$python"
      return 0
    fi
  done
  return 1
}

make_venv() {
  local python
  if python=$(find_python); then
    "$python" -m venv --clear "$venv"
  elif command -v uv >/dev/null; then
    uv venv --quiet --clear --seed --python '>=3.10' "$venv" >&2
  elif is_debian_like && confirm "Python 3.10 or newer with venv is missing. Install Debian's python3-venv?"; then
    apt_install python3-venv
    python=$(find_python) || die 3 "this release's Python is older than 3.10" "install Python 3.10 or newer, or uv"
    "$python" -m venv --clear "$venv"
  else
    die 3 "Python 3.10 or newer with its venv module is missing" \
      "Debian and Ubuntu: apt-get install python3-venv" "others: install Python 3.10 or newer, or uv"
  fi
}

drop_half_made_venv() { rm -rf "$venv"; }

# ensure_venv [DEPENDENCY-GROUP]: gpuimg in .venv, editable. A stamp of what was installed makes the second run quick.
ensure_venv() {
  local group=${1:-} stamp wanted
  local stamp=$venv/.gpuimg${group:+-$group}
  if ! "$venv/bin/python" -c 'import sys; assert sys.version_info >= (3, 10); import pip' 2>/dev/null; then
    note "Making a virtual environment in .venv"
    trap drop_half_made_venv EXIT
    make_venv
  fi
  wanted=$(cat "$root/pyproject.toml" "$root/scripts/constraints.txt" | cksum)
  if [ "$(cat "$stamp" 2>/dev/null)" != "$wanted" ]; then
    note "Installing gpuimg${group:+ and its $group tools} into .venv"
    # dependency groups need pip 25.1, Debian 12's is 23
    "$venv/bin/python" -m pip install --quiet --upgrade 'pip>=25.1' >&2
    (cd "$root" && "$venv/bin/python" -m pip install --quiet --editable . \
      ${group:+--group "$group" --constraint scripts/constraints.txt} >&2)
    printf '%s\n' "$wanted" >"$stamp"
  fi
  trap - EXIT
}

# Pythons with the CUDA build of torch, for the tests of the smoke guest: the locked wheels of stacks, as images have them.
# Prints their paths with colons between; a stack that has no wheels for this Python is left out.
ensure_torch_pythons() {
  local folder stack version found=()
  version=$("$venv/bin/python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
  for stack in "${torch_stacks[@]}"; do
    folder=$root/.cache/torch/$stack
    if [ ! -e "$folder/ready" ]; then
      rm -rf "$folder"
      "$venv/bin/gpuimg" render "$stack" --python "$version" --output "$folder/context" >&2 || continue
      note "Installing torch from $stack for the tests of the smoke step (3 GB)"
      "$venv/bin/uv" venv --quiet --no-config --python "$venv/bin/python" "$folder/venv" >&2
      "$venv/bin/uv" pip install --quiet --no-config --no-cache --no-deps --require-hashes \
        --python "$folder/venv/bin/python" \
        --requirements "$folder/context/layers/cuda/requirements.txt" \
        --requirements "$folder/context/layers/torch/requirements.txt" >&2
      touch "$folder/ready"
    fi
    found+=("$folder/venv/bin/python")
  done
  (IFS=: && echo "${found[*]}")
}
# The first is what most tests break; the second has the interfaces that came since.
readonly torch_stacks=(2.6-cu124 2.13-cu130)

# --- the engine -------------------------------------------------------------------------------------------------------

engine() { "${GPUIMG_PYTHON:-$venv/bin/python}" "$root/scripts/engine.py" "$@"; }

readonly default_engine=unix:///var/run/docker.sock

# ensure_engine: one that answers, installed where that may be done. Returns 3 where there is none.
ensure_engine() {
  local state
  state=$(engine state)
  if [ "$state" = "none $default_engine" ]; then
    "$root/scripts/install-engine" || return 3
    state=$(engine state)
  fi
  case $state in
    ready*) note "Container engine: ${state#ready }" ;;
    denied*) join_docker_group ;;
    *)
      # chosen by DOCKER_HOST or a docker context: one more engine would not be asked
      printf 'error: no engine answers at %s\n\nhint: %s\nhint: %s\n' "${state#none }" "start it" \
        "or unset DOCKER_HOST and go back to the default with: docker context use default" >&2
      return 3
      ;;
  esac
}

# The socket is there, but not for this user. Group membership needs a new login, or `sg`, which gives it at once.
join_docker_group() {
  local user
  user=$(id -un)
  if [[ " $(id -nG "$user") " == *" docker "* ]] && [ -z "${GPUIMG_IN_GROUP:-}" ] && command -v sg >/dev/null; then
    note "Going on as a member of group docker"
    export GPUIMG_IN_GROUP=1
    # shellcheck disable=SC2154 # set by the script that sources this
    exec sg docker -c "$(printf '%q ' "${invocation[@]}")"
  fi
  printf 'error: an engine runs here, but %s may not use its socket\n\nhint: %s\n' "$user" \
    "sudo usermod -aG docker $user, log in again (membership is worth root), then run this again" >&2
  return 3
}
