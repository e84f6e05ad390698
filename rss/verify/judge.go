package verify

import (
	"fmt"

	"lbctl/rss/balance"
)

const (
	// fewFlows is the number of flows below which chance is not tested: too few to tell chance from a model.
	fewFlows = 30
	// chanceLevel is the level of the band of agreement by chance.
	chanceLevel = 0.9999
	// anyway is the share of agreement by chance from which on agreement means nothing.
	anyway = 0.9
)

// judge fills in the verdict and its words.
func (r *Report) judge() {
	switch {
	case r.Packets == 0:
		r.Verdict = Nothing
		r.say("no packet was seen")
		return
	case r.Queue.complete() && r.Hash.complete():
		r.Verdict = Agrees
		r.say("every packet came on the queue that the model predicts")
	case r.isChance():
		r.Verdict = Chance
		r.say("%.1f %% of the flows came on the queue that the model predicts, and %.1f %% would by chance: the model is not that of this NIC",
			100*r.Flows.share(), 100*r.Flows.Chance)
	case r.Queue.complete():
		r.Verdict = Disagrees
		r.say("every packet came on the queue that the model predicts, but not with its hash")
	default:
		r.Verdict = Disagrees
		r.say("%d of %d packets came on another queue than the model predicts", r.Queue.Compared-r.Queue.Agreed, r.Queue.Compared)
	}
	r.sayHash()
	r.sayMore()
}

func (r *Report) say(format string, args ...any) {
	r.Words = append(r.Words, fmt.Sprintf(format, args...))
}

// share returns the share of the hashed flows that agreed.
func (f Flows) share() float64 { return float64(f.Agreed) / float64(max(f.Hashed, 1)) }

// isChance tells whether no more flows agree than would by chance, and the hashes do not support the model either.
func (r *Report) isChance() bool {
	f := r.Flows
	if f.Hashed < fewFlows || f.Chance >= anyway || f.Chance == 0 || r.Hash.Agreed > r.Hash.Compared/2 {
		return false
	}
	bands, err := balance.ShareBands(f.Hashed, []float64{f.Chance, 1 - f.Chance}, chanceLevel)
	return err == nil && bands[0].Contains(f.Agreed)
}

// sayHash reports on the NIC's own hash.
func (r *Report) sayHash() {
	switch {
	case r.Hash.Compared == 0:
		r.say("the driver did not report the NIC's hash: only queues were compared")
	case r.Hash.complete() && r.Queue.complete():
		r.say("%d packets came with the NIC's hash, each equal to the model's", r.Hash.Compared)
	case r.Hash.complete():
		r.say("the NIC's hash equals the model's: the indirection table differs, or a flow rule, aRFS or RPS moved the packets")
	case r.Hash.Agreed == 0:
		r.say("the NIC's hash never equals the model's: key, function or fields differ")
	default:
		r.say("the hashes of %d of %d packets differ from the model's", r.Hash.Compared-r.Hash.Agreed, r.Hash.Compared)
	}
}

// sayMore adds what qualifies the verdict.
func (r *Report) sayMore() {
	if r.Flows.Split > 0 {
		r.say("%d of %d flows came on more than one queue", r.Flows.Split, r.Flows.Seen)
	}
	for _, c := range r.Classes {
		if c.Explained != "" {
			r.say("%s: all would agree if the NIC hashed %s", c.Class, fieldWords(c.Explained))
		}
	}
	if r.Verdict == Agrees && r.Flows.Chance >= anyway && r.Hash.Compared == 0 {
		r.say("this is weak evidence: %.0f %% of the flows would agree by chance, because nearly all go to one queue", 100*r.Flows.Chance)
	}
	if r.Verdict == Agrees && r.Flows.Hashed < fewFlows && r.Hash.Compared == 0 {
		r.say("this is weak evidence: only %d flows were hashed", r.Flows.Hashed)
	}
}

func fieldWords(fields string) string {
	if fields == "none" {
		return "none of their fields (queue 0)"
	}
	return fields
}
