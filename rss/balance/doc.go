// Package balance is the statistics of spread: how evenly things fell on queues
// and replicas, and whether that is what chance would do.
//
// Everywhere weights say which share each place (queue, replica) is meant to get;
// they need not sum to 1, and Equal makes those of equal places. What is counted must be
// independent: connections, or flows, whose hashes are. Packets of one flow are not:
// they all fell on one place together.
//
// It also plans: Rebalance makes an indirection table of what entries brought, LPT and Runs say how
// even things could lie.
//
// All functions are pure, but for LPT, which sorts its argument.
package balance
