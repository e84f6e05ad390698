package cli

import (
	"fmt"

	"lbctl/control/api"
)

func Many(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func Percent(share float64) string { return fmt.Sprintf("%.1f", 100*share) }

// SideText is a side of a change.
func SideText(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

func FlowText(f api.Flow) string {
	return fmt.Sprintf("%s %s > %s", f.Protocol, f.Source, f.Destination)
}
