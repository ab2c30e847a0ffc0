//! Any bytes as the inventory of a run: an error, or what was made, which is named and reads back as it is written.

use quickproof::cluster::inventory::Listing;

pub(super) fn read(bytes: &[u8]) {
    let Ok(listing) = Listing::read(bytes) else { return };
    for made in listing.made() {
        assert!(!made.to_string().is_empty() && !made.by_hand().is_empty());
    }
    let again = listing.written().expect("what was read from JSON is JSON");
    assert_eq!(Listing::read(&again).expect("it was written by us"), listing);
}
