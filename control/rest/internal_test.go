package rest

import (
	"testing"

	"lbctl/lb"
)

// TestEveryReasonHasAnAction compares with what lb says of its reasons: which are sent, answered
// and passed; all others are drops, and a new reason must be put into one of the lists.
func TestEveryReasonHasAnAction(t *testing.T) {
	want := map[lb.Reason]string{
		lb.Forwarded: redirect, lb.Returned: redirect, lb.ErrorForwarded: redirect, lb.ErrorReturned: redirect,
		lb.EchoAnswered: transmit, lb.TooBigAnswered: transmit, lb.Rejected: transmit,
		lb.NotIP: pass, lb.VLANTagged: pass, lb.NotTCPUDP: pass, lb.NotOurs: pass, lb.IPv6Extension: pass,
		lb.ForThisHost: pass, lb.OtherMAC: pass, lb.TTLExpired: pass, lb.NeighbourMissing: pass, lb.TooBigPassed: pass, lb.SuperPacketPassed: pass,
		lb.SuperPacket: drop, lb.TunnelTooNarrow: drop,
		lb.NeighbourPending: drop, lb.MalformedEthernet: drop, lb.MalformedIP: drop, lb.MalformedL4: drop,
		lb.FragmentOrphan: drop, lb.MartianSource: drop, lb.VIPNoService: drop, lb.RejectLimited: drop, lb.PortTaken: drop,
		lb.SourceDenied: drop, lb.RateLimitedFlows: drop, lb.RateLimitedPackets: drop, lb.NoHeadroom: drop,
		lb.Hairpin: drop, lb.NoReplica: drop, lb.NoRoute: drop, lb.TooBig: drop, lb.TableFault: drop,
	}
	for _, r := range lb.Reasons() {
		if got := actionOf(r, 2, 3); got != want[r] {
			t.Errorf("%s: %s, want %q", r, got, want[r])
		}
	}
}
