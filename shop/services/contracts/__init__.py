"""What contexts have promised each other, written down beside each contract, and held against what they promise now."""
