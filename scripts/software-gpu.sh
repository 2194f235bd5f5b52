#!/usr/bin/env bash
# Installs the software GPUs of the device tests on a Debian machine: SwiftShader, which Debian's chromium brings
# (WebGPU in f32), and Mesa's lavapipe from the release's backports (f16; the release's own is too old for Dawn).
# Where they are missing these tests are skipped, with a reason. Needs root; used by .ci/run.
set -euo pipefail

if ! command -v apt-get >/dev/null || [ "$(id -u)" -ne 0 ]; then
  echo "not root on a machine with apt: nothing installed, device tests will be skipped"
  exit 0
fi
swiftshader=/usr/lib/chromium/vk_swiftshader_icd.json
lavapipe=/usr/share/vulkan/icd.d/lvp_icd*.json
mesa=$(dpkg-query -W -f '${Version}' mesa-vulkan-drivers 2>/dev/null || true)
if [ -e "$swiftshader" ] && [ -n "$mesa" ] && dpkg --compare-versions "$mesa" ge 24; then
  echo "chromium and Mesa $mesa are here already"
  exit 0
fi
release=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
sources=(/etc/apt/sources.list /etc/apt/sources.list.d)
if ! grep -rqsE "^[^#]*\b$release-backports\b" "${sources[@]}"; then
  # From the mirror that this machine takes its release from.
  mirror=$(grep -rhsoE '^[^#]*https?://[^ ]+/debian/?( |$)' "${sources[@]}" | grep -oE 'https?://[^ ]+' | head -n 1)
  echo "deb $mirror $release-backports main" >/etc/apt/sources.list.d/weir-backports.list
fi
export DEBIAN_FRONTEND=noninteractive
apt=(apt-get -qq -o Acquire::Retries=5)
"${apt[@]}" update
"${apt[@]}" install -y --no-install-recommends chromium libvulkan1 >/dev/null
"${apt[@]}" install -y --no-install-recommends -t "$release-backports" mesa-vulkan-drivers >/dev/null
ls "$swiftshader" $lavapipe
