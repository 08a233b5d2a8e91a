//! Handles: numbers that name objects, checked at every use.
//!
//! A handle is `generation << 16 | slot + 1`: never zero, never negative as a signed number. A slot's generation moves
//! when its object goes, so that an old handle finds nothing.

use crate::failure::Failure;

/// Objects of one kind under handles.
#[derive(Debug)]
pub(crate) struct Handles<T> {
    slots: Vec<Slot<T>>,
    /// Slots that are empty, for reuse.
    vacant: Vec<u16>,
}

#[derive(Debug)]
struct Slot<T> {
    generation: u16,
    object: Option<T>,
}

/// A slot number and the 15 bits of a generation fill a positive `i32`.
const GENERATION_MASK: u16 = 0x7fff;
/// `slot + 1` has 16 bits.
const MAX_SLOTS: usize = 0xffff;

impl<T> Default for Handles<T> {
    fn default() -> Self {
        Self { slots: Vec::new(), vacant: Vec::new() }
    }
}

impl<T> Handles<T> {
    /// Takes an object in, and names it.
    pub(crate) fn insert(&mut self, object: T) -> Result<i32, Failure> {
        let slot = match self.vacant.pop() {
            Some(slot) => slot,
            None if self.slots.len() < MAX_SLOTS => {
                self.slots.push(Slot { generation: 0, object: None });
                (self.slots.len() - 1) as u16
            }
            None => return Err(Failure::too_many("there can be no more objects of this kind: free one")),
        };
        let entry = self.slots.get_mut(usize::from(slot)).ok_or_else(Failure::invalid_handle)?;
        entry.object = Some(object);
        Ok(i32::from(entry.generation) << 16 | (i32::from(slot) + 1))
    }

    /// The object that `handle` names.
    pub(crate) fn find(&mut self, handle: u32) -> Result<&mut T, Failure> {
        self.slot(handle).and_then(|(_, slot)| slot.object.as_mut()).ok_or_else(Failure::invalid_handle)
    }

    /// Gives the object up.
    pub(crate) fn remove(&mut self, handle: u32) -> Result<T, Failure> {
        let (index, slot) = self.slot(handle).ok_or_else(Failure::invalid_handle)?;
        let object = slot.object.take().ok_or_else(Failure::invalid_handle)?;
        slot.generation = slot.generation.wrapping_add(1) & GENERATION_MASK;
        self.vacant.push(index);
        Ok(object)
    }

    /// Every object.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.slots.iter_mut().filter_map(|slot| slot.object.as_mut())
    }

    fn slot(&mut self, handle: u32) -> Option<(u16, &mut Slot<T>)> {
        let index = (handle as u16).checked_sub(1)?;
        let slot = self.slots.get_mut(usize::from(index))?;
        (u32::from(slot.generation) == handle >> 16).then_some((index, slot))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handle_dies_with_its_object() -> Result<(), Failure> {
        let mut handles = Handles::default();
        let first = handles.insert('a')? as u32;
        assert_eq!(*handles.find(first)?, 'a');
        assert_eq!(handles.remove(first)?, 'a');
        let second = handles.insert('b')? as u32;
        assert_ne!(first, second);
        assert!(handles.find(first).is_err() && handles.remove(first).is_err());
        assert_eq!(*handles.find(second)?, 'b');
        assert!([0, 2, u32::MAX, 0x8000_0001].into_iter().all(|invented| handles.find(invented).is_err()));
        Ok(())
    }

    #[test]
    fn handles_are_positive_through_every_generation() -> Result<(), Failure> {
        let mut handles = Handles::default();
        for _ in 0..70_000 {
            let handle = handles.insert(())?;
            assert!(handle > 0);
            handles.remove(handle as u32)?;
        }
        Ok(())
    }

    #[test]
    fn the_number_of_objects_is_bounded() -> Result<(), Failure> {
        let mut handles = Handles::default();
        for _ in 0..MAX_SLOTS {
            assert!(handles.insert(())? > 0);
        }
        assert!(handles.insert(()).is_err());
        Ok(())
    }
}
