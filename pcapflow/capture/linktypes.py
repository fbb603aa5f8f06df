"""Names of link types (LINKTYPE_ values of the tcpdump.org registry) that captures carry."""

from __future__ import annotations

NAMES = {
    0: "NULL", 1: "EN10MB", 6: "IEEE802", 8: "SLIP", 9: "PPP", 10: "FDDI", 12: "RAW", 14: "RAW", 50: "PPP_SERIAL",
    51: "PPP_ETHER", 99: "SYMANTEC_FIREWALL", 100: "ATM_RFC1483", 101: "RAW", 104: "C_HDLC", 105: "IEEE802_11", 107: "FRELAY",
    108: "LOOP", 109: "ENC", 113: "LINUX_SLL", 114: "LTALK", 117: "PFLOG", 119: "PRISM_HEADER", 127: "IEEE802_11_RADIO",
    129: "ARCNET_LINUX", 143: "DOCSIS", 144: "LINUX_IRDA", 147: "USER0", 163: "IEEE802_11_AVS", 165: "BACNET_MS_TP", 166: "PPP_PPPD",
    187: "BLUETOOTH_HCI_H4", 189: "USB_LINUX", 195: "IEEE802_15_4", 204: "PPP_WITH_DIR", 201: "BLUETOOTH_HCI_H4_WITH_PHDR", 220: "USB_LINUX_MMAPPED", 226: "IPNET",
    228: "IPV4", 229: "IPV6", 230: "IEEE802_15_4_NOFCS", 239: "NFLOG", 240: "NETANALYZER", 242: "IPOIB", 247: "INFINIBAND", 249: "USBPCAP",
    258: "PKTAP", 276: "LINUX_SLL2",
}  # fmt: skip
"""LINKTYPE number to its name without the prefix."""


def name(link_type: int) -> str:
    """The registry's name, or the number for one that is not in the table; UNKNOWN where the capture does not say."""
    if link_type < 0:
        return "UNKNOWN"
    return NAMES.get(link_type, f"LINKTYPE_{link_type}")
