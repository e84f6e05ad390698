package doctor

import "slices"

// hostChecks are about the machine. A replica needs BPF only for its decapsulating program,
// and that is a check of its own.
func hostChecks(onReplica bool) []check[Host] {
	if onReplica {
		return nil
	}
	return []check[Host]{kernelCheck(), bpffsCheck(), jitCheck(), capabilitiesCheck(), servicesCheck()}
}

// interfaceChecks are about an interface that was named, or about one that only is on the way to a replica.
func interfaceChecks(onReplica, named bool) []check[Interface] {
	link := []check[Interface]{upCheck(), carrierCheck(), ethernetCheck()}
	switch {
	case onReplica:
		return append(link, napiCheck(), answersCheck(), arpIgnoreCheck(), arpAnnounceCheck(),
			decapsulationCheck(), tunnelFilterCheck(), sourceFilterCheck(), segmentCheck())
	case !named:
		return append(link, transmitCheck())
	}
	return slices.Concat(link, []check[Interface]{
		stackingCheck(), driverCheck(), attachedCheck(), transmitCheck(), sendBackCheck(), mtuCheck(), lroCheck(), hardwareGROCheck(),
		vlanOffloadCheck(), sendersCheck(), forwarding4Check(), forwarding6Check(), reversePathCheck(), queuesCheck(),
	})
}

func vipChecks(onReplica bool) []check[VIP] {
	if onReplica {
		return []check[VIP]{heldCheck()}
	}
	return []check[VIP]{reachCheck()}
}

func replicaChecks() []check[Replica] {
	return []check[Replica]{
		addressCheck(), routeCheck(), onLinkCheck(), wayOutCheck(), neighbourCheck(), pathMTUCheck(), wayBackCheck(),
	}
}
