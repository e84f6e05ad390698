// Package measure turns readings of counters and clocks into statements about quantities that have noise:
// rates, latencies, CPU time.
//
// From the reading of a counter down to the page of a report:
//
//	counter, clock    read before and after the work of one arm: CPU time (Take, ThreadTime), times (Latencies)
//	M                 what one arm did in one round, a struct of the experiment
//	Run               all arms in every round, in an order drawn from the seed       rounds.go
//	Noise             what else the machine did in that round; noisy rounds go out   noise.go
//	Sample            one figure of each round: of one arm, or of pairs of arms      sample.go
//	Estimate          median, quantile, share or slope with its interval             estimate.go
//	Claim             pass, fail or undetermined: a report.Check, ready for the page claim.go
//
// An experiment compares its arms within a round, never across rounds: what slows the machine in one round
// slows all its arms, and the ratio of a pair stays.
//
//	rounds, err := measure.Run(ctx, measure.Plan{Seed: env.Seed, Rounds: measure.RoundsFor(measure.FalseAlarm), Warmup: 1},
//		measure.Arm[result]{Name: "direct", Run: direct},
//		measure.Arm[result]{Name: "lbctl", Run: balanced},
//		measure.Arm[result]{Name: "slowed", Run: slowed})
//	claim := measure.Claim{Name: "of-direct", Want: measure.AtLeast(0.95), Size: "1 service of 4 replicas, 2 CPUs"}
//	ratio := rounds.Pairs("lbctl", "direct", result.rate, measure.Ratio)
//	check := claim.Check(ratio.Median(measure.FalseAlarm))
//	control := claim.Control(rounds.Pairs("slowed", "direct", result.rate, measure.Ratio).Median(measure.FalseAlarm))
//
// Choose the estimate by what the claim is about. Median and Quantile have exact intervals, whatever the
// distribution, and are what verdicts should rest on: RoundsFor tells how many rounds that takes. A slope or another
// figure over several arms is one value of each round (Rounds.Combine), and so has a median too. Proportion is
// exact: k of n connections. Bootstrap serves every other statistic, such as a mean or the quantile of pooled
// Latencies; it needs 20 rounds, and its rate holds approximately.
//
// All of them take rounds for independent of each other: warm up first, and do not measure while something
// still grows.
//
// A verdict needs two things: that the machine was quiet, and that the whole interval lies on one side of the
// bound. Where either is missing the verdict is undetermined, never pass.
package measure
