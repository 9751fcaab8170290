//go:build !linux

package relay

import "runtime"

func ownThread() { runtime.LockOSThread() }

func letOthers() {}
