//go:build !linux

package devnet

import "os/exec"

// setDeathSignal can do nothing here: a process outlives a crash of this one.
func setDeathSignal(*exec.Cmd) {}
