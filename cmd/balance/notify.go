package balance

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	sdnotify "github.com/coreos/go-systemd/v22/daemon"
	"golang.org/x/sys/unix"

	"lbctl/cmd/cli"
	"lbctl/control/engine"
)

// manager is the service manager that started the daemon, told how it fares (sd_notify(3)); where there is none, nothing is told.
type manager struct {
	log *slog.Logger
}

func (m manager) tell(state string) {
	if _, err := sdnotify.SdNotify(false, state); err != nil {
		m.log.Warn("tell the service manager", "error", err)
	}
}

// ready tells that the datapath is as intended, and what is served.
func (m manager) ready(e *engine.Engine) {
	now := e.Now()
	m.tell(fmt.Sprintf("%s\nSTATUS=revision %d: %s, %s", sdnotify.SdNotifyReady, now.Number,
		cli.Many(len(now.Intent.Services), "service"), cli.Many(len(now.Intent.Interfaces), "interface")))
}

// reloading tells that the file is read again. Until ready the manager waits.
func (m manager) reloading() {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		m.log.Warn("tell the service manager", "error", err)
		return
	}
	m.tell(fmt.Sprintf("%s\nMONOTONIC_USEC=%d", sdnotify.SdNotifyReloading, now.Nano()/1000))
}

// watch tells, as often as the manager asks for, that the daemon can still look at its datapath, until ctx ends; and then
// that it ends.
func (m manager) watch(ctx context.Context, e *engine.Engine) {
	defer m.tell(sdnotify.SdNotifyStopping)
	within, err := sdnotify.SdWatchdogEnabled(false)
	if err != nil {
		m.log.Warn("read the service manager's watchdog", "error", err)
	}
	var due <-chan time.Time // never, without a watchdog
	for {
		if within > 0 {
			_ = e.NotReady() // whatever it is: it returns
			m.tell(sdnotify.SdNotifyWatchdog)
			due = time.After(within / 2)
		}
		select {
		case <-ctx.Done():
			return
		case <-due:
		}
	}
}
