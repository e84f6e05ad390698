package verify

import (
	"fmt"

	"lbctl/rss/balance"
)

const (
	// fewFlows is below how many flows nothing is said of chance: 30 coins can be told from a model.
	fewFlows = 30
	// chanceLevel is how wide the band of chance is.
	chanceLevel = 0.9999
	// anyway is from which share on agreement by chance makes agreement worthless.
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
		r.say("every packet came on the queue that the model names")
	case r.isChance():
		r.Verdict = Chance
		r.say("%.1f %% of the flows came on the queue that the model names, and chance gives %.1f %%: this is what chance gives, the model has nothing to do with this NIC",
			100*r.Flows.share(), 100*r.Flows.Chance)
	case r.Queue.complete():
		r.Verdict = Disagrees
		r.say("every packet came on the queue that the model names, but not with its hash")
	default:
		r.Verdict = Disagrees
		r.say("%d of %d packets came on another queue than the model names", r.Queue.Compared-r.Queue.Agreed, r.Queue.Compared)
	}
	r.sayHash()
	r.sayMore()
}

func (r *Report) say(format string, args ...any) {
	r.Words = append(r.Words, fmt.Sprintf(format, args...))
}

// share is that of the hashed flows that agreed.
func (f Flows) share() float64 { return float64(f.Agreed) / float64(max(f.Hashed, 1)) }

// isChance tells whether so many flows agree by chance, and nothing else speaks for the model.
func (r *Report) isChance() bool {
	f := r.Flows
	if f.Hashed < fewFlows || f.Chance >= anyway || f.Chance == 0 || r.Hash.Agreed > r.Hash.Compared/2 {
		return false
	}
	bands, err := balance.ShareBands(f.Hashed, []float64{f.Chance, 1 - f.Chance}, chanceLevel)
	return err == nil && bands[0].Contains(f.Agreed)
}

// sayHash says what the NIC's own hash shows.
func (r *Report) sayHash() {
	switch {
	case r.Hash.Compared == 0:
		r.say("the NIC's own hash was not seen: queues alone were compared")
	case r.Hash.complete() && r.Queue.complete():
		r.say("%d packets came with a hash of the NIC's, each the model's", r.Hash.Compared)
	case r.Hash.complete():
		r.say("the NIC's hash is the model's: the indirection table is another one, or a flow rule, aRFS or RPS moved the packets")
	case r.Hash.Agreed == 0:
		r.say("the NIC's hash is never the model's: key, function or fields are others")
	default:
		r.say("%d of %d packets have another hash than the model's", r.Hash.Compared-r.Hash.Agreed, r.Hash.Compared)
	}
}

// sayMore says what else a reader should know before believing the verdict.
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
		r.say("that says little: %.0f %% of the flows would agree by chance, as nearly all go to one queue", 100*r.Flows.Chance)
	}
	if r.Verdict == Agrees && r.Flows.Hashed < fewFlows && r.Hash.Compared == 0 {
		r.say("that says little: only %d flows were hashed", r.Flows.Hashed)
	}
}

func fieldWords(fields string) string {
	if fields == "none" {
		return "nothing of them (queue 0)"
	}
	return fields
}
