// Package repolint holds the rules of the repository as tests: who may import whom,
// what stands at the top, that every package says what it is. It has no code.
package repolint
