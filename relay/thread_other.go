//go:build !linux

package relay

import "runtime"

func ownThread() error {
	runtime.LockOSThread()
	return nil
}

func letOthers() {}
